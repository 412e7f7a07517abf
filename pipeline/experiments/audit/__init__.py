"""Proofs that a recipe finds nothing where there is nothing, and something where there is.

markets     candles of a known law: noise, timing alone, a planted edge
workshop    the stages of a plan, called on candles in memory
trials      one market judged in this process, from candles to the gate
permuted    labels of other weeks
oracle      what a planted edge is worth to who knows it
power       many markets judged side by side, and what they have to come to: a binomial bound
causality   features and labels beside what they give when the future is missing or corrupt
training    what fits, scalers, thresholds and calibrators were shown
serving     what is served beside what was trained, and what has to be refused
plans       which plans judge, and the digest of what they judge
run         every check of one recipe, in order
results     where the outcome is kept, and what a gate makes of it
"""
