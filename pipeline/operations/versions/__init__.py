"""What registered versions say and earned, how they compare, and how they are made again."""
