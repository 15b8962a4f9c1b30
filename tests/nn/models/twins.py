"""The architectures once more, in PyTorch and without dropout, to compare with."""

import itertools
from collections import OrderedDict

import pytest

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional


class ZeroMaxPool(nn.Module):
    """TensorFlow's max pooling with padding "same", of what is not negative."""

    def __init__(self, kernel, stride):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x):
        return F.max_pool2d(same(x, self.kernel, self.stride), self.kernel, self.stride)


def same(x, kernel, stride):
    """Zeros as TensorFlow puts them."""
    sides = []
    for n in (x.shape[3], x.shape[2]):
        total = max((-(-n // stride) - 1) * stride + kernel - n, 0)
        sides += [total // 2, total - total // 2]
    return F.pad(x, sides)


class SameConv(nn.Conv2d):
    def forward(self, x):
        return super().forward(same(x, self.kernel_size[0], self.stride[0]))


def net_2c2d(channels, flat, outputs):
    parts = {
        "conv1": SameConv(channels, 32, 5), "relu1": nn.ReLU(), "max_pool1": ZeroMaxPool(2, 2),
        "conv2": SameConv(32, 64, 5), "relu2": nn.ReLU(), "max_pool2": ZeroMaxPool(2, 2),
        "flatten": nn.Flatten(), "dense1": nn.Linear(flat, 1024), "relu3": nn.ReLU(),
        "dense2": nn.Linear(1024, outputs),
    }  # fmt: skip
    return nn.Sequential(OrderedDict(parts))


def net_3c3d(channels, flat, outputs):
    parts = {
        "conv1": nn.Conv2d(channels, 64, 5), "relu1": nn.ReLU(), "maxpool1": ZeroMaxPool(3, 2),
        "conv2": nn.Conv2d(64, 96, 3), "relu2": nn.ReLU(), "maxpool2": ZeroMaxPool(3, 2),
        "conv3": SameConv(96, 128, 3), "relu3": nn.ReLU(), "maxpool3": ZeroMaxPool(3, 2),
        "flatten": nn.Flatten(), "dense1": nn.Linear(flat, 512), "relu4": nn.ReLU(),
        "dense2": nn.Linear(512, 256), "relu5": nn.ReLU(), "dense3": nn.Linear(256, outputs),
    }  # fmt: skip
    return nn.Sequential(OrderedDict(parts))


class AllCNNC(nn.Module):
    def __init__(self, channels, outputs):
        super().__init__()
        kinds = [
            (SameConv, 96, 3, 1), (SameConv, 96, 3, 1), (SameConv, 96, 3, 2),
            (SameConv, 192, 3, 1), (SameConv, 192, 3, 1), (SameConv, 192, 3, 2),
            (nn.Conv2d, 192, 3, 1), (SameConv, 192, 1, 1), (SameConv, outputs, 1, 1),
        ]  # fmt: skip
        for i, (kind, after, kernel, stride) in enumerate(kinds, start=1):
            self.add_module(f"conv{i}", kind(channels, after, kernel, stride))
            channels = after

    def forward(self, x):
        for conv in self.children():
            x = F.relu(conv(x))
        return x.mean((2, 3))


class BasicBlock(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride = stride

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride == 2:
            x = torch.cat([x[:, :, ::2, ::2], torch.zeros_like(x[:, :, ::2, ::2])], dim=1)
        return F.relu(x + y)


class ResNet(nn.Module):
    def __init__(self, channels, outputs, n):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        for i, width in enumerate((16, 32, 64)):
            first = BasicBlock(width // 2 if i else width, width, 2 if i else 1)
            rest = [BasicBlock(width, width, 1) for _ in range(n - 1)]
            self.add_module(f"layer{i + 1}", nn.Sequential(first, *rest))
        self.fc = nn.Linear(64, outputs)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        return self.fc(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


class WideBlock(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before)
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        if before != after:
            self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x):
        a = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(a))))
        return y + (self.shortcut(a) if hasattr(self, "shortcut") else x)


class WideResNet(nn.Module):
    def __init__(self, channels, outputs, n, k):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        before = 16
        for i, width in enumerate((16 * k, 32 * k, 64 * k)):
            first = WideBlock(before, width, 2 if i else 1)
            rest = [WideBlock(width, width, 1) for _ in range(n - 1)]
            self.add_module(f"layer{i + 1}", nn.Sequential(first, *rest))
            before = width
        self.bn = nn.BatchNorm2d(64 * k)
        self.fc = nn.Linear(64 * k, outputs)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(F.relu(self.bn(x)).mean((2, 3)))


class VAE(nn.Module):
    def __init__(self, latent):
        super().__init__()
        self.conv1 = SameConv(1, 64, 4, 2)
        self.conv2 = SameConv(64, 64, 4, 2)
        self.conv3 = SameConv(64, 64, 4)
        self.dense1 = nn.Linear(64 * 2 * 2, latent)
        self.dense2 = nn.Linear(64 * 2 * 2, latent)
        self.dense3 = nn.Linear(latent, 24)
        self.dense4 = nn.Linear(24, 2 * 2)
        self.deconv1 = nn.ConvTranspose2d(1, 64, 4, 2)
        self.deconv2 = nn.ConvTranspose2d(64, 64, 4)
        self.deconv3 = nn.ConvTranspose2d(64, 64, 4)
        self.dense5 = nn.Linear(64 * 4 * 4, 8 * 8)

    def forward(self, x, noise):
        """For images of 8×8."""
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.leaky_relu(conv(x), 0.3)
        x = x.flatten(1)
        mean, log_std = self.dense1(x), 0.5 * self.dense2(x)
        z = mean + noise * log_std.exp()
        z = F.leaky_relu(self.dense4(F.leaky_relu(self.dense3(z), 0.3)), 0.3).view(-1, 1, 2, 2)
        # What a convolution with padding "same" does to a gradient: cut where it padded.
        z = F.relu(self.deconv1(z)[:, :, 1:-1, 1:-1])
        z = F.relu(self.deconv2(z)[:, :, 1:-2, 1:-2])
        z = F.relu(self.deconv3(z)[:, :, 1:-2, 1:-2])
        return torch.sigmoid(self.dense5(z.flatten(1))).view(-1, 1, 8, 8), mean, log_std


class CharLSTM(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, width, 2, batch_first=True)
        self.dense = nn.Linear(width, vocabulary)

    def forward(self, tokens):
        return self.dense(self.lstm(self.embedding(tokens))[0])


def attend(qkv, heads, causal):
    n, t, features = qkv.shape
    q, k, v = (
        part.view(n, t, heads, -1).transpose(1, 2) for part in qkv.split(features // 3, dim=2)
    )
    y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    return y.transpose(1, 2).reshape(n, t, features // 3)


class GPTBlock(nn.Module):
    def __init__(self, width, heads, bias):
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(width, bias=bias)
        self.attn = nn.ModuleDict(
            {
                "c_attn": nn.Linear(width, 3 * width, bias),
                "c_proj": nn.Linear(width, width, bias),
            }
        )
        self.ln_2 = nn.LayerNorm(width, bias=bias)
        self.mlp = nn.ModuleDict(
            {
                "c_fc": nn.Linear(width, 4 * width, bias),
                "c_proj": nn.Linear(4 * width, width, bias),
            }
        )

    def forward(self, x):
        y = attend(self.attn["c_attn"](self.ln_1(x)), self.heads, True)
        x = x + self.attn["c_proj"](y)
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x))))


class GPT(nn.Module):
    def __init__(self, block, vocabulary, layers, heads, width, bias):
        super().__init__()
        blocks = [GPTBlock(width, heads, bias) for _ in range(layers)]
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(vocabulary, width),
                "wpe": nn.Embedding(block, width),
                "h": nn.ModuleList(blocks),
                "ln_f": nn.LayerNorm(width, bias=bias),
            }
        )
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.transformer["wte"].weight = self.lm_head.weight

    def forward(self, tokens):
        x = self.transformer["wte"](tokens) + self.transformer["wpe"](torch.arange(tokens.shape[1]))
        for block in self.transformer["h"]:
            x = block(x)
        return self.lm_head(self.transformer["ln_f"](x))


class ViTBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, 1e-6)
        self.attn = nn.ModuleDict(
            {"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)}
        )
        self.norm2 = nn.LayerNorm(width, 1e-6)
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)}
        )

    def forward(self, x):
        x = x + self.attn["proj"](attend(self.attn["qkv"](self.norm1(x)), self.heads, False))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class ViT(nn.Module):
    def __init__(self, channels, places, outputs, patch, layers, heads, width):
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + places, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(channels, width, patch, patch)})
        self.blocks = nn.Sequential(*[ViTBlock(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width, 1e-6)
        self.head = nn.Linear(width, outputs)

    def forward(self, x):
        x = self.patch_embed["proj"](x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class ConvNeXtBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, 1e-6)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.pwconv2 = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x):
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))
        return x + y.permute(0, 3, 1, 2)


class ChannelNorm(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self, channels, outputs, widths, depths, patch):
        super().__init__()
        stem = nn.Sequential(
            nn.Conv2d(channels, widths[0], patch, patch), ChannelNorm(widths[0], 1e-6)
        )
        self.downsample_layers = nn.ModuleList([stem])
        for a, b in itertools.pairwise(widths):
            self.downsample_layers.append(
                nn.Sequential(ChannelNorm(a, 1e-6), nn.Conv2d(a, b, 2, 2))
            )
        self.stages = nn.ModuleList(
            nn.Sequential(*[ConvNeXtBlock(width) for _ in range(depth)])
            for width, depth in zip(widths, depths, strict=True)
        )
        self.norm = nn.LayerNorm(widths[-1], 1e-6)
        self.head = nn.Linear(widths[-1], outputs)

    def forward(self, x):
        for downsample, stage in zip(self.downsample_layers, self.stages, strict=True):
            x = stage(downsample(x))
        return self.head(self.norm(x.mean((2, 3))))
