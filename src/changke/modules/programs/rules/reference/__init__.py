"""An evaluation worked out slowly and plainly, from the words alone: the judge of the compiled engine.

Nothing here is shared with the engine but the definitions, the terms and the grammar of conditions. It is never on the
path of a till; it exists so that every answer of the engine can be checked by somebody who does not know how it works.
"""
