"""From a composite to the product in the shop: look-up, approval, publishing, and the way back."""
