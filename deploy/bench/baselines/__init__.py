"""What our parts are measured against."""
