"""Learning: networks, recipes, training and evaluation loops, data sets.

Knows nothing of jobs, Redis or services. The arithmetic (the emulator's or the real chip's `perceptron`) is
handed in.
"""
