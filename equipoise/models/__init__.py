"""Load, tokenize, train, predict and save: the only folder that holds language models.

config.py      the settings of model and training
load.py        a base model from the hub, a folder or the offline package
tokenize.py    texts to token ids, never cut silently
batches.py     which rows share an optimizer step, and padding
classifier.py  body + pooling + head, the module that is trained
label_text.py  a decoder that writes the label: scores of all labels in one pass
label_tree.py  labels as one prefix tree; label_prompt.py: how a row is asked
prompted.py    the same scores of an untuned decoder
vocabulary.py  log-probabilities over a whole vocabulary, in parts
cut.py         the cut of method `light`: states enter at a layer
states.py      computing those states once
cache.py       keeping them on disk
methods.py     which weights train: full, light, head, adapter, LoRA, ...
adapter.py     bottleneck adapters
peft.py        the methods that PEFT brings: LoRA and its kin, IA3, prefix, prompt
trainer.py     the one training loop, on transformers' Trainer
train.py       the story of one training, with resume
predict.py     logits of texts
save.py        the model's part of a run folder
baselines.py   what any language model must beat
"""
