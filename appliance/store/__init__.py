"""What the box keeps: the records' database, sealed segments, and documents. Only the recorder writes the database.

Everything here is SQL and files; the rules of what may be written are the recorder's (appliance.recorder).
"""

from appliance.store.backup import Copied, copy
from appliance.store.documents import Documents

__all__ = ["Copied", "Documents", "copy"]
