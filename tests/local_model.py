"""What tests of the real model share: they run where engine and weights are installed."""

import importlib.util

import pytest

from forbear.models.weights import find_weights

needs_model = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or find_weights() is None,
    reason="needs the local model: pip install 'forbear[local]' and forbear models install",
)
