"""JSON as Go writes it; operators are answered in it too, and so it lives a floor below."""

from agent.wire.go_json import dumps

__all__ = ["dumps"]
