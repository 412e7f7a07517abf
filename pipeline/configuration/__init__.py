"""From ``conf/`` and a few chosen words to what every stage is told, and parts built of it."""
