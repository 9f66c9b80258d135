"""Foreign messages into envelopes: pure, one file a language. What can't be translated becomes a `Malformed`."""
