"""The verbs of ``vintage``, one module for each family; the only place that prints."""
