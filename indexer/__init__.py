"""From a catalogue of photos to an index that answers: readers, store, engines, pipeline."""
