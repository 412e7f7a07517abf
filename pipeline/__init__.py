"""How a candidate is made and used.

From the bottom up: errors, config, build, kernels; market (candles); features and labels;
splits; models; evaluation; training; stages (what ``dvc repro`` runs); compose (from choices
to what each stage is told); live (predict); operations (retrain); commands (``vintage``).
"""
