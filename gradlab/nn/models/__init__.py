"""Architectures, each in one file, and their registry."""

from gradlab.nn.models.all_cnn import AllCNNC
from gradlab.nn.models.char_lstm import CharLSTM
from gradlab.nn.models.conv_2c2d import Net2c2d
from gradlab.nn.models.conv_3c3d import Net3c3d
from gradlab.nn.models.convnext import ConvNeXt
from gradlab.nn.models.gpt import GPT
from gradlab.nn.models.mlp import mlp
from gradlab.nn.models.registry import InitScheme, models
from gradlab.nn.models.resnet import ResNet
from gradlab.nn.models.vae import VAE, VAELoss, vae_loss
from gradlab.nn.models.vit import ViT
from gradlab.nn.models.wide_resnet import WideResNet

__all__ = [
    "GPT",
    "VAE",
    "AllCNNC",
    "CharLSTM",
    "ConvNeXt",
    "InitScheme",
    "Net2c2d",
    "Net3c3d",
    "ResNet",
    "VAELoss",
    "ViT",
    "WideResNet",
    "mlp",
    "models",
    "vae_loss",
]
