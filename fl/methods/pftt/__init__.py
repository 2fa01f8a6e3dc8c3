"""Shared bottleneck adapters, personal low-rank adaptation."""
