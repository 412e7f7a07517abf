"""How a candidate is made and used.

From the bottom up: errors, config, build, kernels; market (candles); features and labels;
splits; models; evaluation; fitting (folds and refit); stages (what ``dvc repro`` runs);
configuration (from choices to what each stage is told); live (predict); experiments (tune, audit,
simulate, reenact); operations (retrain, fleets, versions); commands (``vintage``).
"""
