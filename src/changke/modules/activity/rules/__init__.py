"""Pure decisions of intake: schemas, envelopes, orders and returns."""
