"""What ``dvc repro`` runs, one module for each stage: load, compute, check, save."""
