"""The ledger 账本: moves value between wallets and keeps promises. It knows nothing of rules or tiers.

Words: wallet type 积分账户类型, wallet 积分账户, entry 流水, lot 积分批次, draw 批次消耗, hold 冻结, pending 待生效,
clawback 扣回, shortfall 欠分, pool 家庭账户.

Promises:
- Every movement names the wallet it leaves and the one it enters; the legs of a posting sum to zero per wallet type.
- What remains in a wallet's lots is its balance plus its debt, always; versions are dense and every entry carries the
  balance after it.
- A key posts once. The same request again gets the first answer; another under the same key is refused.
- A refused request leaves nothing behind, and touches no other request of its batch.
- Entries are never changed. What expires, lapses or comes back is an entry of its own.
- Every posting is sealed into an RFC 9162 log about a second after it commits; a receipt and a head kept elsewhere
  prove that it was there and that nothing was rewritten.

Files, beyond the usual: `state` (what a batch works on), `store_credits` (the straight lane of awards), `store_sweeps`,
`sweeps` and `rehoming` (set-based verbs behind `commands`), `proposals`, `writing`.

Tables (schema `ledger`): wallet_type, wallet, posting, entry, lot, hold, proposal, sweep, expiry_chunk, moved_debt,
pool, pool_member, leaf, tree_node, tree_head; view leg.
Announces ledger.posted.v1, ledger.points_activated.v1, ledger.adjustment_proposed.v1.
Reacts to identity.members_merged.v1 and identity.merge_undone.v1.
"""
