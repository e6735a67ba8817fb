"""The engine: patients advanced through a protocol, and its result, the Course."""
