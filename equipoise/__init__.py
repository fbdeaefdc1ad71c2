"""Equipoise: fine-tune language models on imbalanced data, and know that it worked."""

__version__ = "0.1.0"
