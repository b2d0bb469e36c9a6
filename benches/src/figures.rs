//! Medians and spreads of a few rounds.

/// One figure's values, one a round.
#[derive(Clone, Debug, Default)]
pub struct Series(pub Vec<f64>);

impl Series {
    /// The middle value; of an even number the mean of the middle two.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// The smallest value.
    pub fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::min)
    }

    /// The largest value.
    pub fn max(&self) -> f64 {
        self.0.iter().copied().fold(f64::NAN, f64::max)
    }

    /// Median absolute deviation: the spread that one bad round does not move.
    pub fn mad(&self) -> f64 {
        let median = self.median();
        Series(self.0.iter().map(|value| (value - median).abs()).collect()).median()
    }

    /// Round by round, this over `base`: what drifts with the machine falls out.
    pub fn over(&self, base: &Series) -> Series {
        Series(self.0.iter().zip(&base.0).map(|(value, base)| value / base).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_spread() {
        let series = Series(vec![3.0, 1.0, 100.0, 2.0, 4.0]);
        assert_eq!((series.median(), series.mad()), (3.0, 1.0));
        assert_eq!((series.min(), series.max()), (1.0, 100.0));
        assert_eq!(Series(vec![1.0, 2.0]).median(), 1.5);
        assert!(Series::default().median().is_nan());
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let slow = Series(vec![20.0, 40.0]).over(&Series(vec![10.0, 20.0]));
        assert_eq!(slow.0, [2.0, 2.0]);
    }
}
