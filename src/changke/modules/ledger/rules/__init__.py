"""The ledger's pure decisions: calendar, book (state and its promises), moves (one a verb), fold."""
