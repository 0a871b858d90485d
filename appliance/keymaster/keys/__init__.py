"""Keys from their making to their end: the ledger and its watch over tokens, states, backups, custodians' shares."""
