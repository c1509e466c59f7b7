"""What people touch: one module a command (`arguments` lists them), `top` with its picture, the demo."""
