"""A language model with low-rank adapters as a critic (`forbear critic train --backend lora`; extra `hf`)."""
