"""The networks of `scripts/bench_train.py` in PyTorch, and their training, as a good user of it would write them."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

FRAMES, N_MFCC, N_CLASSES = 108, 20, 8
ROLL_FRAMES, BETA, LEARNING_RATE = 8, 0.1, 1e-3


class VAE(nn.Module):
    """Dense, 256 hidden units and 128 latent dimensions, as `serjax.models.VAE`."""

    def __init__(self) -> None:
        super().__init__()
        size, hidden, latent = FRAMES * N_MFCC, 256, 128
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(size, hidden), nn.GELU("tanh"))
        self.to_mean, self.to_logvar = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.GELU("tanh"), nn.Linear(hidden, size))

    def loss(self, x_BTC: Tensor, label_B: Tensor) -> Tensor:
        """Return half the squared error plus β KL, per valid element."""
        h = self.encoder(x_BTC)
        mean, logvar = self.to_mean(h), self.to_logvar(h)
        logvar = 8 * logvar / (8 + logvar.abs())
        output_BTC = self.decoder(mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)).view_as(x_BTC)
        squared_B = (x_BTC - output_BTC).square().sum(dim=(1, 2))
        kl_B = 0.5 * (logvar.exp() + mean.square() - 1 - logvar).sum(dim=1)
        return torch.mean(0.5 * squared_B + BETA * kl_B) / math.prod(x_BTC.shape[1:])


class CNN(nn.Module):
    """Three blocks of 3×3 convolution, batch norm, ReLU and 2×2 pooling, as `serjax.models.cnn.CNN`."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 32, 64, 128)
        blocks = [self.block(a, b) for a, b in itertools.pairwise(widths)]
        self.blocks = nn.Sequential(*blocks)
        features = 2 * 3 * widths[-1]  # mean and deviation of three bands
        self.head = nn.Sequential(nn.Linear(features, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, N_CLASSES))

    @staticmethod
    def block(n_in: int, n_out: int) -> nn.Sequential:
        """Return one block."""
        conv = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True))

    def loss(self, x_BTC: Tensor, label_B: Tensor) -> Tensor:
        """Return the cross-entropy."""
        h_BFTC = self.blocks(x_BTC[:, None])
        h_BDT = h_BFTC.transpose(2, 3).flatten(1, 2)
        deviation_BD = torch.sqrt(h_BDT.var(dim=-1, unbiased=False) + 1e-8)
        return functional.cross_entropy(self.head(torch.cat([h_BDT.mean(dim=-1), deviation_BD], dim=-1)), label_B)


class LSTM(nn.Module):
    """Two layers, 64 and 32 wide, dense 64: `serjax.models.cnn_lstm.TimeDistributed` without filters."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LSTM(N_MFCC, 64, batch_first=True), nn.LSTM(64, 32, batch_first=True)
        dense = nn.Linear(32, 64, bias=False)
        self.head = nn.Sequential(
            nn.Dropout(0.2), dense, nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, N_CLASSES)
        )

    def loss(self, x_BTC: Tensor, label_B: Tensor) -> Tensor:
        """Return the cross-entropy."""
        h_BTH, _ = self.first(x_BTC)
        _, (last_1BH, _) = self.second(h_BTH)
        return functional.cross_entropy(self.head(last_1BH[0]), label_B)


class Dense(nn.Module):
    """Mean and deviation of each coefficient over time, dense 256 and 128: `serjax.models.mlp.MLP` on statistics."""

    def __init__(self) -> None:
        super().__init__()
        widths = (2 * N_MFCC, 256, 128)
        hidden = [nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Dropout(0.3)) for a, b in itertools.pairwise(widths)]
        self.head = nn.Sequential(*hidden, nn.Linear(widths[-1], N_CLASSES))

    def loss(self, x_BTC: Tensor, label_B: Tensor) -> Tensor:
        """Return the cross-entropy."""
        deviation_BC, mean_BC = torch.std_mean(x_BTC, dim=1, unbiased=False)
        return functional.cross_entropy(self.head(torch.cat([mean_BC, deviation_BC], dim=-1)), label_B)


NETWORKS: dict[str, type[VAE] | type[CNN] | type[LSTM] | type[Dense]] = {
    "VAE": VAE,
    "CNN": CNN,
    "LSTM": LSTM,
    "dense": Dense,
}


class Training:
    """One network with its optimiser and data; `fused`: Adam as one kernel instead of a loop over parameters."""

    def __init__(
        self, name: str, x_NTC: np.ndarray, label_N: np.ndarray, clip_norm: float, fused: bool, device: str = "cpu"
    ) -> None:
        torch.manual_seed(0)
        if device == "cuda":
            torch.set_float32_matmul_precision("high")  # TensorFloat-32, as JAX has it there
        self.device = torch.device(device)
        self.network = NETWORKS[name]().to(self.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=LEARNING_RATE, fused=fused or None)
        self.x_NTC = torch.tensor(x_NTC, device=self.device)
        self.label_N = torch.tensor(label_N.astype(np.int64), device=self.device)
        self.shift_C, self.scale_C = (fill(N_MFCC, device=self.device) for fill in (torch.zeros, torch.ones))
        self.clip_norm = clip_norm

    def steps(self, rows_SB: np.ndarray) -> Callable[[], None]:
        """Return a call that trains a step on each row of indices and waits for the last."""
        batches = torch.tensor(rows_SB, device=self.device)

        def call() -> None:
            for rows_B in batches:
                self.step(rows_B)
            if self.device.type == "cuda":
                torch.cuda.synchronize()

        return call

    def step(self, rows_B: Tensor) -> None:
        """Train one step."""
        x_BTC = roll((self.x_NTC[rows_B] - self.shift_C) / self.scale_C)
        self.optimizer.zero_grad(set_to_none=True)
        self.network.loss(x_BTC, self.label_N[rows_B]).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.clip_norm)
        self.optimizer.step()


def roll(x_BTC: Tensor) -> Tensor:
    """Roll every clip in time by its own number of frames."""
    (n_clips, n_frames), device = x_BTC.shape[:2], x_BTC.device
    shift_B1 = torch.randint(-ROLL_FRAMES, ROLL_FRAMES + 1, (n_clips, 1), device=device)
    place_B1, place_T = torch.arange(n_clips, device=device)[:, None], torch.arange(n_frames, device=device)
    return x_BTC[place_B1, (place_T - shift_B1) % n_frames]
