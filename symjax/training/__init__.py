"""What happens when a network is trained on real data, at any size.

This room knows neither models nor data sets nor configs: it is given them.
"""
