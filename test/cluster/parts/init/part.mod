module github.com/egctl/egctl/test/cluster/parts/init

go 1.27.3
