"""Following published logs from outside: consistency from tiles, cosignatures, a tenant's chain of commitments.

published: fetching what a log publishes. extending: whether one head extends another, as a pure function. For tenants
and supervisors; `cinnabar log watch` and `cinnabar witness follow` use it. No part of a box is needed.
"""
