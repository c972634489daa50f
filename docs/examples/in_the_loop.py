"""Learn in the loop of a chip which quarter of 60 inputs is stronger than the others; written for hxtorch."""

import hxtorch
import torch

hxtorch.init_hardware()
print("chip", hxtorch.get_unique_identifier()[0])
hxtorch.perceptron.set_mock_parameter(hxtorch.perceptron.measure_mock_parameter())

torch.manual_seed(0)
model = torch.nn.Sequential(
    hxtorch.perceptron.nn.Linear(60, 30),
    hxtorch.perceptron.nn.ConvertingReLU(shift=1),
    hxtorch.perceptron.nn.Linear(30, 4, avg=4),
)
optimizer = torch.optim.Adam(model.parameters(), lr=1.0)
for step in range(61):
    quarters = torch.randint(4, (64,))
    stronger = torch.nn.functional.one_hot(quarters, 4).repeat_interleave(15, dim=1)
    readouts = model(torch.randint(20, (64, 60)) + 8.0 * stronger)
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(readouts / 10, quarters).backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: {(readouts.argmax(1) == quarters).float().mean():.0%} right")
hxtorch.release_hardware()
