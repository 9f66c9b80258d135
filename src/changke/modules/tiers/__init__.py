"""Tiers 等级: what members have reached, what keeps them there, what the next step needs.

Words: tier set 等级体系, tier 等级, qualifying points 成长值, score 综合得分, tier review 定级评估, grace period
宽限期, standing 当前等级, contribution 贡献.

Promises:
- A contribution counts once, on the day it happened in the tier set's time zone; a late one counts on its own day.
- Between reviews a tier only rises, in the transaction of what raised it; only a review, a person, or the undoing of
  the merge that gave it, takes it away. A return leaves it until the review.
- A standing is what its newest change says; who stood where at any past moment can be read from the changes.
- A review decides for a member what deciding for that member alone would; it can stop anywhere and go on later.
- Nothing is copied when members merge: a member's sums are those of the profiles mapped to it now.

Files, beyond the usual: `terms_definition` (a tier set as data), `rules/scoring` (sums to tiers), `rules/standings`
(what becomes of a standing), `rules/periods` (which days count), `queries_sums` (the one statement that adds up).

Tables (schema `tiers`): tier_set, contribution, standing, standing_change, review_run, what_if_run.
Announces tiers.tier_changed.v1, tiers.grace_started.v1, tiers.tier_set_changed.v1.
Reacts to identity.members_merged.v1, identity.merge_undone.v1 and ledger.posted.v1.
"""
