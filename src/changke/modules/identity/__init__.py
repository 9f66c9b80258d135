"""Who is who: every identifier value as seen, the evidence that ties them, and the members they add up to.

Words
    identifier (身份标识)  a value in a namespace: a phone, an e-mail, a card number, an openid, a device …
    profile (档案)         what one identifier value is to us; facts keep the profile id they came with, for ever
    evidence (证据)        two identifiers on one sighting, or a person's word that two are the same or are not
    member (会员)          a set of profiles; its id is the id of its oldest known profile
    merge (合并)           the record of profiles moving between members, with what caused it; a person can undo it
    review case (待审)     what the rules would not decide alone

Promises
    * The members are a pure function of the evidence: any order and any batching of the same sightings, replayed or
      not, ends in the same members.
    * Only strong identifiers (class A, or verified B) join known members; weak ones attach to one member or to none.
    * Two verified phones, two login ids or more than ten known identifiers are never joined without a person.
    * A merge moves the map and nothing else, and `undo_merge` gives every read its earlier answer.
    * Values are stored encrypted for their own row, found by a blind index, and shown masked.

Tables (schema `identity`): identifier, profile_map, member, identity_edge, merge, review_case, api_key.
Events: identity.member_created.v1, identity.members_merged.v1, identity.merge_undone.v1.
"""
