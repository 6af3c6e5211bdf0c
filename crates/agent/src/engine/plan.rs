//! Which packages can be installed in one go, found by simulation.

use super::{Engine, Work};
use crate::back_end::{Package, PlanError};
use futures::FutureExt as _;
use futures::future::BoxFuture;

impl Engine {
    /// Parts the packages into groups that can each be installed in one go. What cannot be installed at all is noted
    /// and left out: in a batch it would keep everything else out too.
    pub(super) async fn plan(&self, packages: &[Package], work: &mut Work) -> Vec<Vec<Package>> {
        let mut refused = Vec::new();
        let groups = self.part(packages, &mut refused).await;
        for (package, error) in refused {
            match error {
                PlanError::Impossible(why) => work.exclude(&package, &why),
                PlanError::Stale(why) => work.postpone(&package, &why),
            }
        }
        groups
    }

    /// Halves what does not go together until it does.
    fn part<'a>(
        &'a self,
        packages: &'a [Package],
        refused: &'a mut Vec<(Package, PlanError)>,
    ) -> BoxFuture<'a, Vec<Vec<Package>>> {
        async move {
            let Err(error) = self.back_end.plan(packages).await else { return vec![packages.to_vec()] };
            if let [package] = packages {
                refused.push((package.clone(), error));
                return Vec::new();
            }
            let (left, right) = packages.split_at(packages.len() / 2);
            let mut groups = self.part(left, refused).await;
            groups.append(&mut self.part(right, refused).await);
            groups
        }
        .boxed()
    }
}
