"""An OpenAI-compatible endpoint that applies a policy to an agent in any language (docs/proxy.md)."""
