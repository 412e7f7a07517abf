"""Old figures earned anew: what was claimed, what it rests on, and what is left of it.

::

    figures          what a re-enactment yields: figures, each with its standing
    entries          entry heads fitted on rows of one's choice, and what they then say
    published_label  the label for shorts whose window reaches backwards
    dual_rules       how the dual-model bot traded
    dual, dual_words its figures, and what they are in words
    registry         every re-enactment by name
    page, writing    one as a page for people; its numbers as text
"""
