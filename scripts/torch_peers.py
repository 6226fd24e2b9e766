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


class LogMel(nn.Module):
    """Four blocks and attentive statistics pooling on 64 mel bands, as `serjax.experiments.cnn_logmel`; mixup."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 32, 64, 128, 128)
        self.blocks = nn.Sequential(*[CNN.block(a, b) for a, b in itertools.pairwise(widths)])
        features = 4 * widths[-1]
        self.score = nn.Sequential(nn.Linear(features, 64), nn.Tanh(), nn.Linear(64, 1, bias=False))
        self.head = nn.Sequential(nn.Dropout(0.4), nn.Linear(2 * features, N_CLASSES))

    def loss(self, x_BTC: Tensor, label_B: Tensor) -> Tensor:
        """Return the cross-entropy of clips that were shifted, masked and mixed in pairs."""
        x_BTC = masked(shifted(x_BTC))
        n_clips = len(x_BTC)
        share_B = torch.distributions.Beta(0.3, 0.3).sample((n_clips,)).to(x_BTC.device)
        order_B = torch.randperm(n_clips, device=x_BTC.device)
        x_BTC = share_B[:, None, None] * x_BTC + (1 - share_B[:, None, None]) * x_BTC[order_B]
        h_BTD = self.blocks(x_BTC[:, None]).transpose(1, 2).flatten(2)
        weight_BT1 = torch.softmax(self.score(h_BTD), dim=1)
        mean_BD = (weight_BT1 * h_BTD).sum(dim=1)
        deviation_BD = torch.sqrt((weight_BT1 * (h_BTD - mean_BD[:, None]).square()).sum(dim=1) + 1e-5)
        log_BK = torch.log_softmax(self.head(torch.cat([mean_BD, deviation_BD], dim=-1)), dim=-1)
        target_BK = functional.one_hot(label_B, N_CLASSES).to(log_BK)
        target_BK = share_B[:, None] * target_BK + (1 - share_B[:, None]) * target_BK[order_B]
        return -(target_BK * log_BK).sum(dim=-1).mean()


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


ROUNDED = "-bfloat16"
NETWORKS: dict[str, type[VAE] | type[CNN] | type[LogMel] | type[LSTM] | type[Dense]] = {
    "VAE": VAE,
    "CNN": CNN,
    "LSTM": LSTM,
    "dense": Dense,
    "logmel": LogMel,
}


class Training:
    """One network with its optimiser and data; `fused`: Adam as one kernel instead of a loop over parameters.

    A name that ends with "-bfloat16" is the network under autocast.
    """

    def __init__(
        self, name: str, x_NTC: np.ndarray, label_N: np.ndarray, clip_norm: float, fused: bool, device: str = "cpu"
    ) -> None:
        torch.manual_seed(0)
        if device == "cuda":
            torch.set_float32_matmul_precision("high")  # TensorFloat-32, as JAX has it there
        self.device = torch.device(device)
        self.network, self.rounds = NETWORKS[name.removesuffix(ROUNDED)]().to(self.device), name.endswith(ROUNDED)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=LEARNING_RATE, fused=fused or None)
        self.x_NTC = torch.tensor(x_NTC, device=self.device)
        self.label_N = torch.tensor(label_N.astype(np.int64), device=self.device)
        self.shift_C, self.scale_C = (fill(x_NTC.shape[-1], device=self.device) for fill in (torch.zeros, torch.ones))
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
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.rounds):
            loss = self.network.loss(x_BTC, self.label_N[rows_B])
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.clip_norm)
        self.optimizer.step()


def roll(x_BTC: Tensor) -> Tensor:
    """Roll every clip in time by its own number of frames."""
    (n_clips, n_frames), device = x_BTC.shape[:2], x_BTC.device
    shift_B1 = torch.randint(-ROLL_FRAMES, ROLL_FRAMES + 1, (n_clips, 1), device=device)
    place_B1, place_T = torch.arange(n_clips, device=device)[:, None], torch.arange(n_frames, device=device)
    return x_BTC[place_B1, (place_T - shift_B1) % n_frames]


def shifted(x_BTC: Tensor) -> Tensor:
    """Move the bands of every clip up or down by up to two, which need not be whole; edges are repeated."""
    n_clips, _, n_bands = x_BTC.shape
    band_C, by_B1 = torch.arange(n_bands, device=x_BTC.device), 4 * torch.rand(n_clips, 1, device=x_BTC.device) - 2
    place_BC = (band_C - by_B1).clamp(0, n_bands - 1)
    below_BC = place_BC.floor().long().clamp(max=n_bands - 2)
    share_B1C = (place_BC - below_BC)[:, None]
    low_BTC, high_BTC = (x_BTC.gather(2, at[:, None].expand_as(x_BTC)) for at in (below_BC, below_BC + 1))
    return (1 - share_B1C) * low_BTC + share_B1C * high_BTC


def masked(x_BTC: Tensor) -> Tensor:
    """Set a band of up to twelve bands and a run of up to twelve frames of every clip to 0."""
    n_clips, n_frames, n_bands = x_BTC.shape
    hidden = [_band(n_clips, size, x_BTC.device).unsqueeze(axis) for size, axis in ((n_frames, 2), (n_bands, 1))]
    return x_BTC.masked_fill(hidden[0] | hidden[1], 0.0)


def _band(n_clips: int, size: int, device: torch.device) -> Tensor:
    width_B1 = torch.randint(0, 13, (n_clips, 1), device=device)
    first_B1 = (torch.rand(n_clips, 1, device=device) * (size - width_B1 + 1)).long()
    place_S = torch.arange(size, device=device)
    return (place_S >= first_B1) & (place_S < first_B1 + width_B1)
