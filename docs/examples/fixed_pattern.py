"""How far the neurons of a chip are apart: a program for hxtorch, which runs on the emulator unchanged."""

import argparse

import hxtorch
import torch

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--readouts", type=int, default=100, help="averaged, so that the noise goes")
options = parser.parse_args()

hxtorch.init_hardware()
print("chip", *hxtorch.get_unique_identifier())
inputs = torch.full((options.readouts, 128), 15.0)
weights = torch.full((128, 256), 20.0)
readings = hxtorch.perceptron.matmul(inputs, weights)
neurons = readings.mean(dim=0)
print(f"neurons  {neurons.mean():.1f} LSB on average, {neurons.std():.1f} LSB apart")
print(f"noise    {readings.std(dim=0).mean():.1f} LSB from one readout to the next")
hxtorch.release_hardware()
