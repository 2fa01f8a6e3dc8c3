"""Split fine-tuning: the client has the lower blocks, the server the rest."""
