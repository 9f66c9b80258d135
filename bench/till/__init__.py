"""What the benches of the till share: a house that runs, a shop in it, and callers that cost little."""
