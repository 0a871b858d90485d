"""The parts of a kind's picture: the graph, its layers, its ink. Use appliance.letters.picture."""
