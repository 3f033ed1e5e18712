"""What makes the documentation's generated parts: pages of commands, pictures, and hooks of the site."""
