"""What the commands of ``service.cli`` do; each imported only when its command is called."""
