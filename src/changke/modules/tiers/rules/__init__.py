"""Pure decisions of tiers: which days count, what they come to, what becomes of a standing."""
