"""Benefits 权益: what a member holds beside points: coupons, entitlements, rewards bought with points, stored value.

Words: coupon template 券模板, coupon 优惠券, code 券码, issue 发放, claim 领取, reserve 锁券, use 核销, release 解锁,
give back 退券, void 作废, transfer 转赠, recycle 回收, benefit 权益, entitlement 权益资格, reward 兑换礼品,
stored value 储值, gift card 礼品卡.

What a coupon takes off is a rule of a programme that names its template; here it only lives: it is issued, held,
reserved, used, given back. Coupons hang on the profile they were issued to, so merging members moves nothing.

Promises:
- A template never gives more coupons than its stock, a coupon never has more uses than it was made with, and a member
  never goes beyond the template's limits, whoever comes at the same time.
- The same key, session or order again gets the first answer and changes nothing.
- Every change of a coupon is an entry of its journal: versions are dense, and the last entry is what the coupon says.
- A code typed wrongly is told from a code that does not exist.
- Rights that follow from the matrix are computed, not stored; a quota is exact under concurrency, across channels and
  across the profiles of a member, and starts again with its period without a job.
- A reward is never oversold; an order that is refused leaves points and stock as they were; what is cancelled or
  returned gives points back to their lots.
- A refund of stored value never pays out more than was paid in; payments and their returns add up to the minor unit.
- Codes and PINs of gift cards stand nowhere.

Files, beyond the usual: `*_coupons` and `*_codes` (coupons), `*_matrix`, `*_entitlements`, `*_uses` (benefits),
`*_rewards`, `*_stored_value` (gift cards too).

Tables (schema `benefits`): coupon_template, coupon_stock, coupon_issue, coupon, coupon_code, coupon_use, coupon_entry,
coupon_tally; benefit_matrix, entitlement, belonging, benefit_allowance, benefit_claim, benefit_use; reward,
reward_stock, reward_stock_move, reward_order, reward_order_step; stored_value_scheme, stored_value_account,
stored_value_move, gift_card_batch, gift_card.
Announces benefits.coupon_issued.v1, benefits.coupon_used.v1, benefits.coupon_given_back.v1, benefits.coupon_voided.v1,
benefits.coupon_expired.v1, benefits.coupon_transferred.v1, benefits.entitlement_granted.v1,
benefits.benefits_followed.v1, benefits.benefit_used.v1, benefits.reward_order_changed.v1,
benefits.stored_value_moved.v1. Reacts to tiers.tier_changed.v1.
"""
