"""The automatic search: candidates that meet a budget exactly, scored without fine-tuning, chosen by a study."""
