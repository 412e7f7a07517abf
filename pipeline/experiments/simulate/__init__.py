"""A schedule replayed through history: what retraining, and the gate, would have been worth.

``schedule`` says when, ``history`` holds the candles, ``procedure`` what each retrain does,
``fitting`` makes the models of the turns and ``answering`` asks them about the candles that
followed; ``promotions`` walks the gate over them, ``policies``, ``losses``, ``money`` and
``staleness`` tell what came of it, ``simulation`` does all of it and ``page`` shows it.
"""
