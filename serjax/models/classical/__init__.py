"""Classical models: of feature vectors (`fitting`), and one per emotion of MFCC pictures (`pictures`)."""
