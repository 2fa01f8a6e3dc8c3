"""Small trainable modules that are put into a frozen backbone."""
