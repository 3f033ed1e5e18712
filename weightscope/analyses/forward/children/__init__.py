"""What runs in a child process: libraries that no input check can bound. Nothing here imports weightscope."""
