"""Old figures earned anew: what was claimed, what it rests on, and what is left of it.

Whatever is named old was done so then, and is never evidence.

::

    figures           what a re-enactment yields: figures, each with its standing
    entries           heads fitted on rows of one's choice, and what they then say
    published_label   the labels for shorts as they were
    old_splits        rows cut without regard to time
    old_features      what is not known yet, taken from later rows
    old_network       the hourly classifier, trained on whichever rows it is given
    dual_rules        how the dual-model bot traded
    dual, dual_words  its money, and what the figures are in words
    heads, …_words    its four heads
    hours             hours cut in two ways, and answers copied from a neighbour
    hourly, …_words   the hourly classifier on four markets
    drawing, …        pictures of it
    registry          every re-enactment by name
    page, writing     one as a page for people; its numbers as text
"""
